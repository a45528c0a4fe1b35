"""What travels over HTTP, one file per resource: the OpenAPI document is made of these."""
