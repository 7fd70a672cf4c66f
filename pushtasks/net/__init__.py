"""Transport: connections that live as long as the process, and what travels over them."""
