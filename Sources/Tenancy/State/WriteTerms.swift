/// On whose account a write waits and is counted.
public enum WritePayer: Hashable, Sendable {
  /// The tenant whose own workload asked.
  case tenant(TenantID)
  /// A platform identity, by its subject.
  case platform(String)
  /// The server itself, going on with what it has begun.
  case server
}

/// How a write waits for the writer.
public struct WriteTerms: Hashable, Sendable {
  /// Who goes first of those who wait.
  public enum Priority: Hashable, Sendable {
    /// In the order of arrival, as far as budgets allow.
    case ordinary
    /// Takes something away from someone, or moves a tenant along its lifecycle: goes ahead of the
    /// ordinary ones, and no budget refuses it.
    case revoking
  }

  /// What one request may cost, at most: a transaction is not to hold the writer for longer.
  public static let maximumCost = 512

  /// Whose budget it is charged to.
  public let payer: WritePayer
  /// Whether it goes ahead.
  public let priority: Priority
  /// How much of the writer's time it may take: one is a small change, such as an assignment. From 1 to
  /// `maximumCost`.
  public let cost: Int
  /// Whether it is judged like any other, and then nothing of it is kept.
  public var isRehearsal = false
  /// How it waits: what is kept nowhere takes nothing away from anybody, and is in no hurry.
  var turn: Priority { isRehearsal ? .ordinary : priority }

  /// - Parameter cost: brought into 1 to `maximumCost`.
  public init(payer: WritePayer, priority: Priority = .ordinary, cost: Int = 1) {
    self.payer = payer
    self.priority = priority
    self.cost = min(max(cost, 1), Self.maximumCost)
  }

  /// For what the server does by itself.
  public static let server = WriteTerms(payer: .server)

  /// The cost of a change that is about as large as this many bytes of a request.
  public static func cost(ofBytes bytes: Int) -> Int { 1 + bytes / bytesPerCost }
  private static let bytesPerCost = 1024
}
