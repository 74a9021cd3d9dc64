"""Makes the bodies that schemathesis invents reach the models: most name one that is there, and all ask for little."""

import random

import schemathesis

MODELS = {"/api/rerank": "reranker", "/v1/rerank": "reranker"}
EMBED = ("/api/embed", "/api/embeddings", "/v1/embeddings")
KEPT = ("/api/create", "/api/copy", "/api/delete")  # as they are, or the models would be gone


@schemathesis.hook
def map_body(context, body):
    path = context.operation.path
    if not isinstance(body, dict) or "model" not in body or path in KEPT or random.random() < 0.3:
        return body
    found = {**body, "model": MODELS.get(path, "all-minilm" if path in EMBED else "wren")}
    if path.startswith("/v1/"):
        return {**found, "num_predict": 4, "max_tokens": 4} if path not in EMBED else found
    options = body.get("options")
    return {**found, "options": {**(options if isinstance(options, dict) else {}), "num_predict": 4}}
