package import Tenancy

/// What `body` throws, if it does.
package func thrown<R>(by body: () throws(TenancyError) -> R) -> TenancyError? {
  do throws(TenancyError) {
    _ = try body()
    return nil
  } catch {
    return error
  }
}

/// What `body` throws, if it does.
package nonisolated(nonsending) func refusal<R>(
  of body: () async throws(TenancyError) -> R
) async -> TenancyError? {
  do throws(TenancyError) {
    _ = try await body()
    return nil
  } catch {
    return error
  }
}

/// What comes of `body`, once `end` has been run behind it, whether it throws or not.
package nonisolated(nonsending) func outcome<R>(
  of body: () async throws -> R, then end: () async throws -> Void
) async throws -> R {
  let outcome: Result<R, any Error>
  do {
    outcome = .success(try await body())
  } catch {
    outcome = .failure(error)
  }
  try await end()
  return try outcome.get()
}

extension Cursor {
  /// What is left, whatever it costs.
  package var all: [Element] {
    var cursor = self
    var budget = WorkBudget.uncapped
    var found: [Element] = []
    while let element = cursor.next(&budget) { found.append(element) }
    return found
  }
}
