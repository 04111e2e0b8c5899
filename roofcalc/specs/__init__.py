"""What a model, a device and a number format are: frozen records. No files, no time."""
