"""Generates the wire layer from proto/: C messages, Swift messages, method specs, client stubs."""
