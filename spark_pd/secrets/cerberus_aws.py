"""The headers of Cerberus' AWS login: a signed GetCallerIdentity that Cerberus sends to AWS STS itself, to learn who signed it."""

from __future__ import annotations

import os

from spark_pd.model.errors import SecretError
from spark_pd.secrets.extras import need

# What Cerberus sends to STS, byte for byte: the signature covers it (AwsStsHttpClient.java, "DEFAULT_GET_CALLER_IDENTITY_ACTION").
BODY = "Action=GetCallerIdentity&Version=2011-06-15"
DEFAULT_REGION = "us-west-2"  # cerberus-python-client's
HEADERS = ("Authorization", "X-Amz-Date", "X-Amz-Security-Token")


def signed_headers() -> dict[str, str]:
    """Authorization, X-Amz-Date and, for temporary credentials, X-Amz-Security-Token, with the credentials that botocore finds.

    The region is AWS_REGION, else the one that botocore is configured with, else us-west-2; Cerberus accepts regional STS hosts only.
    Raises SecretError where botocore is not installed or finds no credentials.
    """
    session, auth, awsrequest = (
        need(f"botocore.{name}", extra="cerberus", why="CERBERUS_AUTH=aws needs botocore") for name in ("session", "auth", "awsrequest")
    )
    try:
        session = session.Session()
        region = os.environ.get("AWS_REGION") or session.get_config_variable("region") or DEFAULT_REGION
        found = session.get_credentials()
        credentials = found.get_frozen_credentials() if found is not None else None
    except Exception as error:  # botocore's, by the source of the credentials
        raise SecretError(f"reading the AWS credentials failed with {type(error).__name__}; check the AWS profile and role") from None
    if credentials is None:
        raise SecretError("CERBERUS_AUTH=aws, but botocore finds no AWS credentials; give the machine a role, or the usual AWS_* variables")
    domain = "amazonaws.com.cn" if region.startswith("cn-") else "amazonaws.com"
    request = awsrequest.AWSRequest(method="POST", url=f"https://sts.{region}.{domain}", data=BODY)
    auth.SigV4Auth(credentials, "sts", region).add_auth(request)
    return {name: str(request.headers[name]) for name in HEADERS if name in request.headers}
