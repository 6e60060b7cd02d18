"""The Events API v2 over HTTP: paths, methods, status codes and bodies."""

from __future__ import annotations

from typing import Any

from flask import Flask, jsonify, request
from werkzeug.exceptions import HTTPException, UnsupportedMediaType
from werkzeug.wrappers import Response

from spark_pd.sandbox import events, rest
from spark_pd.sandbox.incidents import Account


def make_app(account: Account, rest_token: str) -> Flask:
    """PagerDuty's two APIs in front of an account."""
    app = Flask("spark_pd.sandbox", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = events.BODY_LIMIT

    @app.post("/v2/enqueue")
    def enqueue() -> Response:
        """An alert event."""
        return _event(account, change=False)

    @app.post("/v2/change/enqueue")
    def enqueue_change() -> Response:
        """A change event."""
        return _event(account, change=True)

    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> Response:
        """What HTTP itself refuses, such as a wrong method, in the shape of PagerDuty's answers."""
        message = error.description or error.name
        answer = _answer(error.code or 500, error.name.lower(), message, [message])
        # What belongs to the status, such as Allow with a 405; the body's type is ours.
        answer.headers.extend([(name, value) for name, value in error.get_headers() if name.lower() != "content-type"])
        return answer

    app.register_blueprint(rest.make_blueprint(account, rest_token))
    return app


def _event(account: Account, *, change: bool) -> Response:
    _check_content()
    event = events.parse(request.get_data())
    if event is None:
        return _answer(400, "Unrecognized object", "Event object format is unrecognized", ["JSON parse error"])
    problems = events.change_problems(event) if change else events.alert_problems(event)
    if not problems and not account.knows(event["routing_key"]):
        problems = ["Invalid routing key"]
    if problems:
        return _answer(400, "invalid event", "Event object is invalid", problems)
    if account.throttled(event["routing_key"]) is not None:
        return _answer(429, "throttle exceeded", "Requests for this service are arriving too quickly.  Please retry later.", [])
    if change:
        account.accept_change(event)
        return _answer(202, "success", "Change event processed")
    return _answer(202, "success", "Event processed", dedup_key=account.accept(event))


def _check_content() -> None:
    # No Content-Type at all is let pass: plain HTTP clients send none, and the body must be JSON in any case.
    if request.content_type is not None and not request.is_json:
        raise UnsupportedMediaType(f"Content-Type must be application/json, not {request.mimetype}")
    if request.headers.get("Content-Encoding", "identity") != "identity":
        raise UnsupportedMediaType("Content-Encoding is not supported")


def _answer(code: int, status: str, message: str, errors: list[str] | None = None, **fields: Any) -> Response:
    body = {"status": status, "message": message, **fields}
    if errors is not None:
        body["errors"] = errors
    answer: Response = jsonify(body)
    answer.status_code = code
    return answer
