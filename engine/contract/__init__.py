"""What a screen or a client may know of the engine: settings, operations, status, events, the handle."""
