/// Messages and the service of `grpc.health.v1`.
public enum GRPCHealth {}

/// Messages and the service of `grpc.reflection.v1`.
public enum GRPCReflection {}

/// Messages and the service of `grpc.reflection.v1alpha`.
public enum GRPCReflectionAlpha {}
