/// Messages and services of `grpc.testing`.
public enum GRPCTesting {}

/// Messages and the service of `ttrpc.integration.streaming`.
public enum TTRPCStreaming {}

/// Messages and the service of `bench.v1`.
public enum Bench {}

/// Messages of `google.protobuf`: those that the other packages use.
public enum GoogleProtobuf {}
