/// Why a document was not fetched. For the log of who runs the server: never sent to a client.
package struct FetchFailure: Error, Hashable, Sendable, CustomStringConvertible {
  /// What has failed. Stable.
  package enum Stage: String, Sendable, CaseIterable {
    /// The name has no address, or none that may be asked.
    case address
    /// Nobody answers there.
    case connection
    /// The server is not who it should be, or does not speak TLS as we do.
    case tls
    /// The answer is not one, or has no document in it.
    case response
    /// Nothing was tried: it is another's turn. It is worth trying again soon.
    case busy
    /// It has taken too long.
    case time
  }

  package let stage: Stage
  package let description: String

  package init(_ stage: Stage, _ description: String) {
    self.stage = stage
    self.description = description
  }
}
