/// What a connection's lifetime says of itself, and what it wants done.
extension ConnectionLifetime {
  /// Where a connection is.
  enum Phase: Equatable, CaseIterable {
    /// It has not said, in full, what its protocol begins with.
    case opening
    case active
    /// Nothing is under way, and nothing has happened since that was seen.
    case quiet
    case draining
    case closing
    case closed
  }

  /// What time has brought.
  enum Due: Equatable {
    /// `supervise` is to be told how far the connection has come.
    case supervision
    /// `credentialAccepted` or `credentialRefused` is to be told.
    case credentialCheck
    /// The peer has not acknowledged the first GOAWAY's PING: the final one is to be said.
    case finalGoAway
    /// `lingers` is to be told how much the peer has not taken.
    case lingerCheck
    /// The connection is to be closed at once.
    case close
  }

  enum SupervisionAction: Equatable {
    /// There is nothing to supervise any more.
    case none
    case proceed
    /// Keepalive: a PING is to be sent.
    case ping
    /// The connection is idle or old: the first GOAWAY is to be said, and handlers are to be told.
    case drain
    /// To be closed at once, and why.
    case close(String)
  }

  enum DrainAction: Equatable {
    case none
    /// Handlers are to be told; the peer knows already.
    case notifyHandlers
    /// And the first GOAWAY is to be said.
    case drain
  }

  enum InputClosedAction: Equatable {
    case none
    /// The final GOAWAY is to be said: calls that have begun are finished.
    case finishCalls
    case close
  }
}
