public import Tenancy

/// For which tenant code is at work: a value that the current task has, and what it starts as its children.
///
/// Structured concurrency carries it: child tasks, task groups, `async let` and `Task {}` have the context of where they
/// were begun. A detached task has none, nor has a callback of an event loop or of a C library: `carrying(_:)` gives a
/// closure the context of where it was made. Where there is none, reading it is nil or an error, never a default.
///
/// Safe to use from any thread: it is a value, and a task's own.
public struct TenantContext: Sendable {
  /// The tenant.
  public let tenant: TenantDetails
  /// Its settings, with the defaults of their declarations, and its flags.
  public let configuration: TenantValues
  /// For whom the work is done, such as `user:alice` or a SPIFFE ID; nil: for nobody in particular.
  public let subject: String?
  private let authorizer: (any TenantAuthorizer)?

  /// Makes it nobody's: see `with`.
  /// - Parameter authorizer: who is asked what the subject may; nil: then it may nothing.
  public init(
    tenant: TenantDetails, configuration: TenantValues = TenantValues(), subject: String? = nil,
    authorizer: (any TenantAuthorizer)? = nil
  ) {
    self.tenant = tenant
    self.configuration = configuration
    self.subject = subject
    self.authorizer = authorizer
  }

  /// Of a tenant of which nothing but its id is known.
  public init(id: TenantID) { self.init(tenant: TenantDetails(id: id)) }

  /// The same for another subject of the tenant.
  public func acting(for subject: String?) -> TenantContext {
    TenantContext(
      tenant: tenant, configuration: configuration, subject: subject, authorizer: authorizer)
  }

  // MARK: What is current

  @TaskLocal private static var held: Held?

  private struct Held: Sendable {
    /// Nil: there is none on purpose.
    var context: TenantContext?
    /// Whether a unit of work, such as a transaction, rests on it.
    var isLocked = false
  }

  /// The current task's; nil: it has none.
  public static var current: TenantContext? { held?.context }

  /// Whether the current task has one.
  public static var isPresent: Bool { held?.context != nil }

  /// The current task's.
  /// - Throws: `TenantContextError.missing`, which `TenantContextLosses` is told of.
  public static func require(
    file: StaticString = #fileID, line: UInt = #line
  ) throws(TenantContextError) -> TenantContext {
    if let context = held?.context { return context }
    let place = TenantContextError.Place(file: "\(file)", line: line)
    TenantContextLosses.note(place)
    throw .missing(at: place)
  }

  // MARK: Scopes

  /// Runs `body` in this context, and what it starts as its children.
  /// - Throws: `TenantContextError.locked` within a unit of work for another tenant; what `body` throws.
  public nonisolated(nonsending) static func with<Result>(
    _ context: TenantContext, _ body: nonisolated(nonsending) () async throws -> Result
  ) async throws -> Result {
    try await $held.withValue(try entering(context), operation: body)
  }

  /// The same without waiting.
  public static func with<Result>(
    _ context: TenantContext, _ body: () throws -> Result
  ) throws -> Result {
    try $held.withValue(try entering(context), operation: body)
  }

  /// Runs `body` in no context, for what is about no tenant.
  /// - Throws: `TenantContextError.locked` within a unit of work; what `body` throws.
  public nonisolated(nonsending) static func without<Result>(
    _ body: nonisolated(nonsending) () async throws -> Result
  ) async throws -> Result {
    try await $held.withValue(try entering(nil), operation: body)
  }

  /// The same without waiting.
  public static func without<Result>(_ body: () throws -> Result) throws -> Result {
    try $held.withValue(try entering(nil), operation: body)
  }

  /// Runs `body` as a unit of work, such as a transaction: within it the context can't become another tenant's, or none.
  /// - Throws: `TenantContextError.missing`; what `body` throws.
  public nonisolated(nonsending) static func locked<Result>(
    _ body: nonisolated(nonsending) (TenantContext) async throws -> Result
  ) async throws -> Result {
    let context = try require()
    return try await $held.withValue(Held(context: context, isLocked: true)) {
      try await body(context)
    }
  }

  private static func entering(_ context: TenantContext?) throws(TenantContextError) -> Held {
    guard let held, held.isLocked, let current = held.context else {
      return Held(context: context)
    }
    guard let context, context.tenant.id == current.tenant.id else {
      throw .locked(to: current.tenant.id, asked: context?.tenant.id)
    }
    return Held(context: context, isLocked: true)
  }

  /// A closure that runs in the context of here, wherever it is called: for callbacks of event loops and C libraries,
  /// and for detached tasks. Without one here, it runs without one there.
  ///
  /// It is not locked: a unit of work ends before its callbacks do.
  public static func carrying<each Input, Result>(
    _ body: @escaping @Sendable (repeat each Input) throws -> Result
  ) -> @Sendable (repeat each Input) throws -> Result {
    let carried = Held(context: held?.context)
    return { (input: repeat each Input) in
      try $held.withValue(carried) { try body(repeat each input) }
    }
  }

  /// The same for a closure that waits.
  public static func carrying<each Input, Result>(
    _ body: @escaping @Sendable (repeat each Input) async throws -> Result
  ) -> @Sendable (repeat each Input) async throws -> Result {
    let carried = Held(context: held?.context)
    return { (input: repeat each Input) in
      try await $held.withValue(carried) { try await body(repeat each input) }
    }
  }

  // MARK: What the subject may

  /// Whether the subject has a permission in the tenant.
  /// - Parameters:
  ///   - permission: `resource:action`, without wildcards.
  ///   - resource: which of the permission's resources; empty: all of them.
  /// - Returns: false also without a subject, or without anybody to ask: nothing fails open.
  /// - Throws: what the authorizer throws, where it can't tell.
  public func has(_ permission: String, on resource: String = "") async throws -> Bool {
    guard let authorizer, let subject else { return false }
    return try await authorizer.isAllowed(
      TenantQuestion(
        tenant: tenant.id, subject: subject, permission: permission, resource: resource))
  }

  /// - Throws: `TenantContextError.denied` unless the subject has the permission; as `has`.
  public func demand(_ permission: String, on resource: String = "") async throws {
    guard try await has(permission, on: resource) else {
      throw TenantContextError.denied(permission: permission)
    }
  }

  // MARK: Its configuration

  /// A setting's value, or the default of `setting`.
  public func value<Value>(_ setting: TenantSetting<Value>) -> Value {
    configuration.value(setting)
  }

  /// Whether a feature flag is on; false for one that is not known.
  public func isEnabled(_ flag: String) -> Bool { configuration.isEnabled(flag) }
}
