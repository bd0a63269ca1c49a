/// For which tenant the current task, and what it starts as its children, is at work.
public struct TenantContext: Hashable, Sendable {
  /// Whose data is read and written.
  public let tenant: TenantID

  /// Makes it nobody's: see `run`.
  public init(tenant: TenantID) { self.tenant = tenant }

  /// Nil: for none, and then there is no data.
  @TaskLocal public static var current: TenantContext?

  /// Runs `body` for this tenant. A task that is begun within it, and outlives it, stays with the tenant; a detached one
  /// has none.
  public nonisolated(nonsending) func run<Result>(
    _ body: nonisolated(nonsending) () async throws -> Result
  ) async rethrows -> Result {
    try await Self.$current.withValue(self, operation: body)
  }
}
