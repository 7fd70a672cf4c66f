"""APNs: notifications, provider tokens and the provider API over HTTP/2."""
