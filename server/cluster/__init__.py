"""What the server learns of its own Kubernetes cluster: the addresses of Services."""
