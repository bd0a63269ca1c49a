public import TenancyCrypto

extension Server {
  /// What a server serves, and how much it gives.
  public struct Configuration: Sendable {
    /// What it listens on, besides `adopted`.
    public var listeners: [ListenAddress]
    /// Besides them, sockets that listen already.
    public var adopted: [AdoptedSocket] = []
    /// Needed for TCP listeners that are not insecure.
    public var tls: TLSContext?
    /// Needed for TCP listeners whose clients need not have a certificate.
    public var uncertifiedTLS: TLSContext?
    /// What a peer may take.
    public var limits = ServerLimits()
    /// Event loops; 0: one for each core.
    public var eventLoops = 0
    /// Whether `Connection.process` tells which process has opened a connection of a Unix socket: that takes a
    /// descriptor for each.
    public var holdsPeerProcesses = false
    /// How long a handler may take to return after it was cancelled by `stop`.
    public var handlerPatience = Duration.seconds(2)

    /// - Parameter tls: needed for TCP listeners that are not insecure.
    public init(listeners: [ListenAddress], tls: TLSContext? = nil) {
      self.listeners = listeners
      self.tls = tls
    }

    /// What a listener speaks TLS by; nil: it does not, or it can't.
    func tls(for address: ListenAddress) -> TLSContext? {
      guard case .tcp(_, _, insecure: false, let certified) = address else { return nil }
      return certified ? tls : uncertifiedTLS
    }
  }
}
