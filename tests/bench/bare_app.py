"""The limit that the API is compared with: a Flask application that does nothing, under the same gunicorn."""

from __future__ import annotations

from flask import Flask, Response, jsonify, request
from flask_jwt_extended import JWTManager, jwt_required

SECRET = "s" * 32


def create_app() -> Flask:
    """`/hello`: a text. `/token`: the same for who has a token of flask-jwt-extended. POST `/echo`: its JSON body."""
    app = Flask("bare", static_folder=None)
    app.config.update(JWT_SECRET_KEY=SECRET)
    JWTManager(app)

    @app.get("/hello")
    def hello() -> str:
        return "hello"

    @app.get("/token")
    @jwt_required()  # type: ignore[untyped-decorator]
    def with_token() -> str:
        return "hello"

    @app.post("/echo")
    def echo() -> tuple[Response, int]:
        return jsonify(request.get_json()), 201

    return app
