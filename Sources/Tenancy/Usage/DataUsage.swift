/// What a tenant's data takes up where it was made.
public struct DataUsage: Hashable, Sendable {
  /// Tables with their indexes, or files; nil: not known.
  public var bytes: Int64?
  /// Of the tenant's logins; nil: not known, or there are none.
  public var sessions: Int64?
  /// Why something is not known, or what is left out, in words that operators may read; empty: nothing is.
  public var problem: String

  /// - Parameter problem: not empty where something is not known.
  public init(bytes: Int64? = nil, sessions: Int64? = nil, problem: String = "") {
    self.bytes = bytes
    self.sessions = sessions
    self.problem = problem
  }

  /// What is at two places.
  static func + (a: DataUsage, b: DataUsage) -> DataUsage {
    func sum(_ one: Int64?, _ other: Int64?) -> Int64? {
      guard let one, let other else { return nil }
      return one.addingReportingOverflow(other).overflow ? .max : one + other
    }
    let problems = [a.problem, b.problem].filter { !$0.isEmpty }
    return DataUsage(
      bytes: sum(a.bytes, b.bytes), sessions: sum(a.sessions, b.sessions),
      problem: problems.joined(separator: "; "))
  }
}

extension DataPlane {
  /// Nothing.
  public func usage(of tenant: Tenant) -> DataUsage {
    DataUsage(problem: "what data takes up is not measured there")
  }
}

/// What was found when a tenant's data was measured.
public struct DataReading: Hashable, Sendable {
  /// As far as it was found out.
  public let usage: DataUsage
  /// When.
  public let time: Timestamp
  /// Whether all places that the data is in have answered; nil: there is none, or nobody was asked.
  public let isReached: Bool?
}
