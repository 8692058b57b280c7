"""What the wires say: bytes and messages in, observations out. Imports nothing of ours."""
