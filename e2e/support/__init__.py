"""What the tests are told with: engines, the proxy, clients, and waiting without guessing."""
