"""Lists and watches objects of a Kubernetes API. Agent and server use it; it knows neither."""
