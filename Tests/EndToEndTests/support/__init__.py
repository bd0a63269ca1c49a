"""What the end-to-end tests share: a real daemon, certificates, and clients of other makers."""
