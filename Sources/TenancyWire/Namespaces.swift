/// Messages, enums and services of `tenancy.v1`.
public enum V1 {}

/// Messages, enums and services of `tenancy.lifecycle.v1`: what a platform serves, and is asked by.
public enum LifecycleV1 {}

/// Messages of `google.rpc`: error details.
public enum GoogleRPC {}

/// Messages of `google.protobuf`: the well-known types in use.
public enum GoogleProtobuf {}

/// Messages and services of `envoy.service.auth.v3`: what Envoy's filter `ext_authz` asks.
public enum EnvoyAuth {}

/// Messages of `envoy.service.ratelimit.v3`.
public enum EnvoyRateLimit {}

/// Messages of `envoy.extensions.common.ratelimit.v3`.
public enum EnvoyRateLimitCommon {}

/// Messages of `envoy.config.core.v3`.
public enum EnvoyCore {}

/// Messages of `envoy.type.v3`.
public enum EnvoyType {}
