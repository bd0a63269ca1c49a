import Logging
import ServiceLifecycle

/// A long-running part of the daemon.
///
/// It runs until it is told to end, which cancels what it does; then it finishes. One that ends by itself has failed:
/// the log says so, and the others are ended as if the daemon were told to stop.
struct Part: Sendable, CustomStringConvertible {
  private let name: String
  private let operation: @Sendable () async throws -> Void
  private let finish: @Sendable () async -> Void
  /// Whether its end, without an error, is the daemon's.
  private let endsAll: Bool

  /// - Parameters:
  ///   - name: for the log.
  ///   - endsAll: whether it may end by itself, which then stops the daemon.
  ///   - operation: runs until it is cancelled; by default until the end.
  ///   - finish: called when the operation has ended, in a task that is not cancelled.
  init(
    _ name: String, endsAll: Bool = false,
    _ operation: @escaping @Sendable () async throws -> Void = { try await gracefulShutdown() },
    finish: @escaping @Sendable () async -> Void = {}
  ) {
    self.name = name
    self.endsAll = endsAll
    self.operation = operation
    self.finish = finish
  }

  var description: String { name }

  /// Returns when it has ended, as it was told, and has finished.
  fileprivate func run() async throws {
    do {
      try await cancelWhenGracefulShutdown(operation)
    } catch is CancellationError where Self.isToEnd {
      // As it was told.
    } catch {
      await finish()
      throw error
    }
    await finish()
    guard endsAll || Self.isToEnd else { throw PartEndedError(name: name) }
  }

  private static var isToEnd: Bool { Task.isCancelled || Task.isShuttingDownGracefully }
}

/// A part that has ended, though nobody told it to.
struct PartEndedError: Error, CustomStringConvertible {
  let name: String

  var description: String { "\(name) has ended by itself" }
}

/// The parts in the order in which they start; they are ended in the reverse order, each when the one before has
/// ended.
struct Parts: Sendable {
  private var services: [ServiceGroupConfiguration.ServiceConfiguration] = []
  private let logger: Logger
  /// From here on the failure of a part is told to the log, not only to who runs them.
  private let serving: Opening

  init(serving: Opening, _ logger: Logger) {
    self.serving = serving
    self.logger = logger
  }

  mutating func add(_ part: Part) {
    let told = ToldPart(part: part, serving: serving, logger: logger)
    services.append(
      .init(
        service: told, successTerminationBehavior: .gracefullyShutdownGroup,
        failureTerminationBehavior: .gracefullyShutdownGroup, serviceName: "\(part)"))
  }

  /// Returns when all have ended.
  /// - Throws: the error of the first part that has failed.
  func run() async throws {
    try await ServiceGroup(configuration: .init(services: services, logger: logger)).run()
  }
}

/// A part whose failure the log is told at once: others may take long to end.
private struct ToldPart: Service {
  let part: Part
  let serving: Opening
  let logger: Logger

  func run() async throws {
    do {
      try await part.run()
    } catch {
      if serving.isOpen {
        logger.critical(
          "a part of the daemon has failed: it stops",
          metadata: ["part": "\(part)", "error": "\(error)"])
      }
      throw error
    }
  }
}
