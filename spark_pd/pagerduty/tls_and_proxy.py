"""The way to PagerDuty: through which proxy, and whose certificates are trusted. They are always verified; nothing turns that off."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from spark_pd.model import Secret
from spark_pd.model.errors import SecretError
from spark_pd.pagerduty.endpoint import host, is_loopback
from spark_pd.secrets.urls import proxy_problem


@dataclass(frozen=True, slots=True)
class Way:
    """How one request travels. `proxies` is in requests' form and may hold a password."""

    proxies: Mapping[str, str] = field(default_factory=dict, repr=False)
    ca_bundle: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """What is configured of the way to PagerDuty. What is not is as the environment has it: HTTPS_PROXY, NO_PROXY, REQUESTS_CA_BUNDLE.

    `proxy` gives the proxy's URL; it is called for each delivery, since the password in it may change.
    """

    proxy: Callable[[], Secret] | None = field(default=None, repr=False)
    ca_bundle: str | None = None

    def way_to(self, url: str) -> Way:
        """The way to a URL; never through a proxy to this machine. Raises SecretError where the proxy's URL cannot be had or used."""
        if is_loopback(url):
            return Way({"no_proxy": host(url)}, self.ca_bundle)  # a proxy would look for the sandbox on its own loopback
        if self.proxy is None:
            return Way({}, self.ca_bundle)
        proxy = self.proxy().reveal()
        problem = proxy_problem(proxy)
        if problem is not None:
            raise SecretError(f"the proxy's URL {problem}; expected one like http://proxy.example.com:3128")
        # NO_PROXY is about the environment's proxies: this one is for PagerDuty alone, and was asked for by name.
        return Way({"http": proxy, "https": proxy}, self.ca_bundle)
