public import TenancyRPC

/// How logs and traces name what a call is about. Asked only for calls that are logged or traced, on their event loop.
public typealias TenantName = @Sendable (CallTag) -> String
