#!/usr/bin/env bash
# PyPI huggingface_hub 2.4.0 (with httpx2 2.16.2)
#
# InferenceClient.text_to_video() orders a clip at one of several providers, waits and downloads it. The status of the order
# and of the questions is looked at, that of the download is not: whatever the clip's address answers, 403, 404 or 503,
# that body is returned as the clip, without an error or a warning, and is saved as an .mp4 by the usual next line. The
# clip is paid for and still there, but neither its address nor the order's id was told: it can only be bought again.
# Seen at fal-ai, novita, replicate and wavespeed: 1 order; its download answered 503 with a line of text: that line comes
# back as the video; 1 download, no second try.
#
# Instead: order over the provider's own API and write id and address down. If it has to be this client: look whether the
# bytes are a film (an MP4 has "ftyp" at byte 4) before they are kept, and count what is none as bought.
set -euo pipefail
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
python3 -m venv venv && venv/bin/pip install -q huggingface_hub==2.4.0 httpx2==2.16.2 >pip.log 2>&1 || { cat pip.log >&2; exit 2; }

cat >clip.py <<'PY'
import httpx2
from huggingface_hub import InferenceClient, set_client_factory

CLIP = "https://example.com/clip.mp4"
BUSY = "slow down, please"
PROVIDERS = ("fal-ai", "novita", "replicate", "wavespeed")
ANSWERS = {
    "queue.fal.run": {"request_id": "1", "status": "COMPLETED", "response_url": "https://queue.fal.run/x/requests/1",
                      "video": {"url": CLIP}},
    "api.novita.ai": {"video": {"video_url": CLIP}},
    "api.replicate.com": {"id": "1", "status": "succeeded", "model": "x", "output": CLIP},
    "api.wavespeed.ai": {"data": {"id": "1", "status": "completed", "outputs": [CLIP],
                                  "urls": {"get": "https://api.wavespeed.ai/api/v3/predictions/1/result"}}},
}
orders, downloads = [], []


def internet(request):
    if str(request.url) == CLIP:
        downloads.append(request)
        return httpx2.Response(503, text=BUSY)
    if request.url.host in ANSWERS:
        orders.extend([request] if request.method == "POST" else [])
        return httpx2.Response(200, json=ANSWERS[request.url.host])
    model = {"status": "live", "providerId": "x/y", "task": "text-to-video"}
    return httpx2.Response(200, json={"id": "x/y", "inferenceProviderMapping": {name: model for name in PROVIDERS}})


set_client_factory(lambda: httpx2.Client(transport=httpx2.MockTransport(internet)))
for provider in PROVIDERS:
    orders.clear(), downloads.clear()
    try:
        video = InferenceClient(provider=provider, api_key="test").text_to_video("a fern", model="x/y")
    except Exception as error:
        raise SystemExit(f"changed: {provider}: {error!r}")
    seen = video, len(orders), len(downloads)
    if seen != (BUSY.encode(), 1, 1):
        raise SystemExit(f"changed: {provider}: {seen}")
print(f"still so: {', '.join(PROVIDERS)}: the text of a 503 to the download is returned as the clip")
PY
venv/bin/python clip.py
