/// What is to become of a tenant, and what keeps it from it. Most tenants have nothing of it.
public struct LifecyclePlans: Hashable, Sendable {
  /// Of one in `maintenance` that an operator has put there; nil: it is there for its data is gone.
  public var maintenance: PlannedMaintenance?
  /// Its data is not destroyed while there is one.
  public var legalHold: LegalHold?
  /// What the server does by itself, and when.
  public var schedule: TenantSchedule

  /// Nothing, if nothing is given.
  public init(
    maintenance: PlannedMaintenance? = nil, legalHold: LegalHold? = nil,
    schedule: TenantSchedule = TenantSchedule()
  ) {
    self.maintenance = maintenance
    self.legalHold = legalHold
    self.schedule = schedule
  }

  /// Whether there is nothing.
  public var isEmpty: Bool {
    maintenance == nil && legalHold == nil && schedule == TenantSchedule()
  }
}

/// Why a tenant is out of service for a while, and until when.
public struct PlannedMaintenance: Hashable, Sendable {
  /// When it is expected to be over; nil: nobody has said. It ends nothing by itself.
  public var expectedEnd: Timestamp?
  /// - Parameter expectedEnd: nil: nobody knows.
  public init(expectedEnd: Timestamp? = nil) { self.expectedEnd = expectedEnd }
}

/// That a tenant's data must be kept.
public struct LegalHold: Hashable, Sendable {
  /// For operators: 1 to 500 characters.
  public let reason: String
  /// Since when.
  public let time: Timestamp
  /// Validates nothing: that is up to `TenantCommands`.
  public init(reason: String, time: Timestamp) {
    self.reason = reason
    self.time = time
  }
}

/// Transitions that the server makes by itself when their time has come.
public struct TenantSchedule: Hashable, Sendable {
  /// When it is suspended.
  public var suspend: Timestamp?
  /// When its trial ends: it is suspended for that reason.
  public var trialEnd: Timestamp?
  /// When it is deleted.
  public var delete: Timestamp?

  /// Nothing, if nothing is given.
  public init(
    suspend: Timestamp? = nil, trialEnd: Timestamp? = nil, delete: Timestamp? = nil
  ) {
    self.suspend = suspend
    self.trialEnd = trialEnd
    self.delete = delete
  }

  /// One of its transitions.
  public enum Kind: String, Sendable, CaseIterable {
    /// The tenant is suspended.
    case suspend
    /// It is suspended, for its trial is over.
    case trialEnd
    /// It is deleted.
    case delete
  }

  /// When a transition is due; nil: it is not.
  public subscript(kind: Kind) -> Timestamp? {
    get {
      switch kind {
      case .suspend: suspend
      case .trialEnd: trialEnd
      case .delete: delete
      }
    }
    set {
      switch kind {
      case .suspend: suspend = newValue
      case .trialEnd: trialEnd = newValue
      case .delete: delete = newValue
      }
    }
  }

  /// When the first of them is due; nil: none is.
  public var next: Timestamp? { Kind.allCases.compactMap { self[$0] }.min() }
}

/// How tenants end, on all nodes.
public struct LifecycleTerms: Hashable, Sendable {
  /// Between a soft delete and the moment when data may be destroyed.
  public var retention = Lifecycle.usualRetention
  /// Whether the server destroys the data of deleted tenants by itself when that moment has come.
  public var purgesByItself = true

  /// As it is usual.
  public init() {}
}

/// A value that few have, so that the others pay for no more than a pointer.
final class Box<Value: Hashable & Sendable>: Sendable {
  let value: Value
  init(_ value: Value) { self.value = value }
}

extension Box: Hashable {
  static func == (a: Box, b: Box) -> Bool { a.value == b.value }
  func hash(into hasher: inout Hasher) { hasher.combine(value) }
}
