"""What each kind of layer does in a step: FLOPs, bytes and message sizes, as pure functions of records and arrays."""
