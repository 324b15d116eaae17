"""How each kind of document says things: OpenAPI 3, Swagger 2.0, Kubernetes."""
