#!/usr/bin/env bash
# PyPI huggingface_hub 2.4.0 (with httpx2 2.16.2)
#
# InferenceClient(provider="replicate").text_to_video() asks Replicate to hold the answer to the order until the clip is
# ready, which it does for a minute, and never asks again: a clip that takes longer can't be had in this way. What comes is
# TimeoutError, "timed out after 60 seconds", with the advice to try again later and without the prediction's id: the clip
# is rendered and billed for nobody, and the next try buys another. The same words come, at once, for a prediction that
# failed or was cancelled: what Replicate said of it (that the moderation took it, say) is lost.
# Seen: answers "processing", "failed" with an error text, "canceled": TimeoutError each time, without a wait; 1 order and
# 0 questions each; neither id, nor status, nor error text in it.
#
# Instead: Replicate's own client: predictions.create(), the id written down, then a loop of questions about it.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv && venv/bin/pip install -q huggingface_hub==2.4.0 httpx2==2.16.2 >pip.log 2>&1 || { cat pip.log >&2; exit 2; }

cat >ends.py <<'PY'
import time

import httpx2
from huggingface_hub import InferenceClient, set_client_factory

REFUSED = "The input or output was flagged as sensitive. (E005)"
asked = []


def internet(request):
    if request.url.host == "api.replicate.com":
        asked.append((request.method, request.headers.get("prefer")))
        return httpx2.Response(201, json=prediction)
    model = {"status": "live", "providerId": "x/y", "task": "text-to-video"}
    return httpx2.Response(200, json={"id": "x/y", "inferenceProviderMapping": {"replicate": model}})


set_client_factory(lambda: httpx2.Client(transport=httpx2.MockTransport(internet)))
client = InferenceClient(provider="replicate", api_key="test")
for status, error in (("processing", None), ("failed", REFUSED), ("canceled", None)):
    prediction = {"id": "prediction-1", "model": "x/y", "status": status, "output": None, "error": error,
                  "urls": {"get": "https://api.replicate.com/v1/predictions/prediction-1"}}
    asked.clear()
    begun = time.monotonic()
    try:
        raise SystemExit(f"changed: {status}: {client.text_to_video('a fern', model='x/y')!r}")
    except TimeoutError as raised:
        text = str(raised)
    except Exception as raised:
        raise SystemExit(f"changed: {status}: {raised!r}")
    told = [word for word in ("prediction-1", status, "E005") if word in text]
    seen = asked, "60 seconds" in text, told, time.monotonic() - begun < 10
    if seen != ([("POST", "wait")], True, [], True):
        raise SystemExit(f"changed: {status}: {seen}: {text}")
print("still so: a prediction that runs on, has failed or was cancelled is 'timed out after 60 seconds', without its id")
PY
venv/bin/python ends.py
