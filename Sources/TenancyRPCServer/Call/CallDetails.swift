public import TenancyRPCCore

/// What else can be learned of a call whose status is final. Nothing of it is made before somebody asks, so that
/// observers pay for the calls that they want to know about, and for no others.
///
/// Valid only while `LoopObserver.callEnded` runs.
public struct CallDetails: ~Copyable {
  /// Who calls `callEnded` holds both.
  private let stream: Unmanaged<ServerStream>
  private let observation: Unmanaged<CallObservation>?
  /// Why the call did not end well; nil: it did, or nothing but its code is known.
  public let status: RPCStatus?
  private let sample: SampleStream?

  init(_ stream: ServerStream, _ observation: CallObservation, _ status: RPCStatus?) {
    self.stream = .passUnretained(stream)
    self.observation = .passUnretained(observation)
    self.status = status
    sample = nil
  }

  /// Of a call that was not served: for tests of observers.
  public init(
    metadata: RPCMetadata = RPCMetadata(), path: String? = nil, status: RPCStatus? = nil,
    account: Int = 0, caller: CallerName? = nil
  ) {
    let sample = SampleStream(metadata, path)
    sample.identity = SampleIdentity(account, caller)
    self.sample = sample
    stream = .passUnretained(sample)
    observation = nil
    self.status = status
  }

  /// A number that all calls have in common whose callers share one part of what may be logged; 0: of nobody who is
  /// known.
  public var account: Int { identity?.account() ?? 0 }

  /// Who makes the call, as far as that is known: nobody, for one that says so itself and has not proven it.
  public var caller: CallerName? { identity?.name() }

  private var identity: CallIdentity? {
    stream._withUnsafeGuaranteedRef { stream in
      guard let observation else { return stream.identity }
      return observation._withUnsafeGuaranteedRef { $0.identity.identity(of: stream) }
    }
  }

  /// The path of a method that there is not, as the peer wrote it: of any length, and any text.
  public var unknownPath: String? { stream._withUnsafeGuaranteedRef { $0.unknownPath() } }

  /// Lends the values of a name (lower case) of the call's metadata, in order. There are none of a call whose request
  /// was refused before it was whole.
  public func forEachValue(of name: StaticString, _ body: (UnsafeRawBufferPointer) -> Void) {
    stream._withUnsafeGuaranteedRef { stream in
      guard let control = stream.control else { return stream.forEachValue(of: name, body) }
      control.received.forEachValue(of: name, body)
    }
  }

  /// What the caller calls the request: the first `x-request-id` that is good for that.
  public var requestID: String? {
    var found: String?
    forEachValue(of: "x-request-id") { value in
      if found == nil, RequestID.isValid(value) { found = ReceivedMetadata.text(value) }
    }
    return found
  }
}

/// What callers may call their requests: printable ASCII, up to 64 bytes. A longer one, or another, is none.
public enum RequestID {
  /// What it travels as.
  public static let metadataName = "x-request-id"
  /// Bytes.
  public static let maximumLength = 64

  /// Whether it may be passed on and logged as it is.
  public static func isValid(_ bytes: some Collection<UInt8>) -> Bool {
    (1...maximumLength).contains(bytes.count)
      && bytes.allSatisfy { (UInt8(ascii: " ")...UInt8(ascii: "~")).contains($0) }
  }
}

private final class SampleStream: ServerStream {
  private let path: String?
  private let sent: RPCMetadata

  init(_ metadata: RPCMetadata, _ path: String?) {
    sent = metadata
    self.path = path
  }

  override func unknownPath() -> String? { path }

  override func forEachValue(
    of name: StaticString, _ body: (UnsafeRawBufferPointer) -> Void
  ) { sent.forEachValue(of: name, body) }
}

private final class SampleIdentity: CallIdentity {
  private let number: Int
  private let caller: CallerName?

  init(_ account: Int, _ caller: CallerName?) {
    number = account
    self.caller = caller
  }

  override func account() -> Int { number }
  override func name() -> CallerName? { caller }
}
