import json
def test_x(plain_app):
    r = plain_app.test_client().get("/api/openapi.json")
    json.dump(r.json, open("/tmp/openapi.json","w"))
