public import TenancyCrypto

/// What is known of the other end of a connection, before anything it says about itself.
public enum Peer: Sendable, Hashable {
  /// Verified during the handshake, or when the session was made that was resumed.
  case certificate(PeerCertificate)
  /// The process at the other end of a Unix socket, as the kernel gives it (SO_PEERCRED).
  case unixProcess(UnixCredentials)
  /// Nothing: a plain-text TCP connection on loopback, where configuration allows it.
  case anonymous
  /// Nothing but where it comes from: a TLS client without a certificate, where configuration allows it.
  case uncertified(address: String)
}

/// Kernel-reported credentials of a Unix socket's peer at the time it connected.
public struct UnixCredentials: Sendable, Hashable {
  /// Effective user id.
  public let userID: UInt32
  /// Effective group id.
  public let groupID: UInt32
  /// May have been given to another process since: not for decisions.
  public let processID: Int32
}

/// One accepted connection, for the life of which the embedder may keep a `context`.
public final class Connection: Sendable {
  /// Who is at the other end, as far as the transport proves it.
  public let peer: Peer
  /// For logs: the listener's address and the peer's. Made each time: ask only to log it.
  public var label: String { source.description }

  /// The process that has opened it, of a Unix socket and where `Server.Configuration.holdsPeerProcesses` asks for it.
  public let process: PeerProcess?

  private let source: any ConnectionLabel
  private let standing: @Sendable () -> String?

  /// - Parameter standing: why the peer is not accepted any more, or nil.
  init(
    peer: Peer, label: any ConnectionLabel, process: PeerProcess? = nil,
    standing: @escaping @Sendable () -> String? = { nil }
  ) {
    self.peer = peer
    self.process = process
    self.standing = standing
    source = label
  }

  /// Why the peer is not accepted any more, or nil: the CAs, CRLs and rules that were loaded last refuse its
  /// certificate. Thread-safe; the first question after a reload may verify a chain.
  public func refusal() -> String? { standing() }
}

/// What makes a connection's label when it is asked for: most never are.
typealias ConnectionLabel = CustomStringConvertible & Sendable
