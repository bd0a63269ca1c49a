public import TenancyRPC

/// Consistency tokens: what was written through one server is seen through every other that is asked with the
/// token that the write's response carried.
public enum Consistency {
  /// The name of the metadata.
  public static let metadataName = "tenancy-consistency-token"
}

extension RPCCallOptions {
  /// Has the call answered from a state that is at least as fresh as a token says: within the call's deadline,
  /// or it ends with UNAVAILABLE (REVISION_NOT_REACHED).
  public mutating func require(consistencyToken token: String) {
    metadata.add(Consistency.metadataName, token)
  }
}

extension ResponseMetadata {
  /// The token of the state after the call; nil where there is none, as over ttrpc, whose responses have no
  /// metadata, and of methods that only read from memory.
  public var consistencyToken: String? { initial[Consistency.metadataName].first }
}
