/// Messages, enums and services of `tenancy.v1`.
public enum V1 {}

/// Messages of `google.rpc`: error details.
public enum GoogleRPC {}

/// Messages of `google.protobuf`: the well-known types in use.
public enum GoogleProtobuf {}
