"""The dialects of documents: OpenAPI 3, Swagger 2.0, Kubernetes."""
