"""The running daemon: composition root, controller, signals."""
