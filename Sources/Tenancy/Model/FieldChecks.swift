/// Collects what is wrong with the fields of one request, so that one answer tells all of it.
public struct FieldChecks: Sendable {
  /// Violations in one answer. What is found beyond them is not told.
  public static let maximumViolations = 16

  private var reason = TenancyError.Reason.invalidField
  private var violations: [TenancyError.FieldViolation] = []

  /// Nothing is found yet.
  public init() {}

  /// Whether nothing was found.
  public var passed: Bool { violations.isEmpty }
  /// Whether looking on is of no use.
  public var isFull: Bool { violations.count >= Self.maximumViolations }

  /// What `check` makes of a field; nil if it refuses that, which is noted.
  /// - Throws: whatever is not about a field.
  @discardableResult
  public mutating func value<Value>(
    _ check: () throws(TenancyError) -> Value
  ) throws(TenancyError) -> Value? {
    do throws(TenancyError) {
      return try check()
    } catch {
      guard error.category == .invalidArgument, !error.violations.isEmpty else { throw error }
      note(error)
      return nil
    }
  }

  /// Adds the violations of `error`, as many as there is room for. The first error gives the reason.
  public mutating func note(_ error: TenancyError) {
    if violations.isEmpty { reason = error.reason }
    violations += error.violations.prefix(Self.maximumViolations - violations.count)
  }

  /// - Throws: all that was found.
  public func finish() throws(TenancyError) {
    if !passed { throw failure }
  }

  /// All that was found, as one error. Its message tells the first.
  public var failure: TenancyError {
    guard let first = violations.first else {
      return .invalid("request", "can't be accepted")
    }
    let more = violations.count > 1 ? " (and \(violations.count - 1) more)" : ""
    return TenancyError(
      .invalidArgument, reason, "\(first.field): \(first.description)\(more)",
      violations: violations)
  }
}
