/// Messages and the service of the SPIFFE Workload API, which is of no proto package.
public enum SPIFFE {}

/// Messages and the service of `envoy.service.secret.v3`.
public enum EnvoySecret {}
