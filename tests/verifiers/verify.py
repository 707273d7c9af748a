"""Verifies webhook requests by the Python library of Standard Webhooks: each by every secret that is to fit, and by none once
a byte of it is another."""

import json
from pathlib import Path

from standardwebhooks import Webhook, WebhookVerificationError

given = json.loads(Path("requests.json").read_text(encoding="utf-8"))
verified = refused = 0


def refuses(secret: str, body: str, headers: dict[str, str]) -> None:
    global refused
    try:
        Webhook(secret).verify(body, headers)
    except WebhookVerificationError:
        refused += 1
    else:
        raise AssertionError("a request that is not as it was sent is verified")


for request in given["requests"]:
    headers, body = request["headers"], request["body"]
    for secret in given["secrets"]:
        told = Webhook(secret).verify(body, headers)
        assert told["id"] == headers["webhook-id"], told
        verified += 1
        refuses(secret, body.replace("ping", "pong"), headers)
        refuses(secret, body, headers | {"webhook-id": "another"})
        earlier = str(int(headers["webhook-timestamp"]) - 1)
        refuses(secret, body, headers | {"webhook-timestamp": earlier})
    refuses(given["stranger"], body, headers)
print(f"python: {verified} verified, {refused} refused")
