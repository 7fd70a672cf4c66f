"""FCM: messages, access tokens and the HTTP v1 API."""
