public import Tenancy

/// What a server has answered with, and the seconds for which it may be kept by that; nil: it doesn't say.
public struct KeySetAnswer: Sendable {
  let body: [UInt8]
  let maximumAge: Int?

  /// - Parameters:
  ///   - body: a set of keys, as RFC 7517 has it, or anything else.
  ///   - maximumAge: seconds.
  public init(body: [UInt8], maximumAge: Int?) {
    self.body = body
    self.maximumAge = maximumAge
  }
}

extension FetchedKeySets {
  /// Fetches that are under way at once.
  private static let workers = 4
  /// How often it is looked at what is to be fetched.
  private static let interval = Duration.milliseconds(100)

  /// Has keys fetched as long as it runs, which is until it is cancelled.
  /// - Parameters:
  ///   - plane: whose tenants they are for.
  ///   - fetch: what fetches. Called off the event loops, a few at a time.
  ///   - attempted: told of each attempt, and whether it has brought keys.
  ///   - changed: told when it is otherwise with a source.
  public func run(
    _ plane: ControlPlane,
    fetch: @escaping @Sendable (KeySetJob) async -> Result<KeySetAnswer, KeySetFailure>,
    attempted: @escaping @Sendable (_ succeeded: Bool) -> Void,
    changed: @escaping @Sendable (KeySetEvent) -> Void
  ) async {
    await withTaskGroup { group in
      for _ in 0..<Self.workers {
        group.addTask {
          while !Task.isCancelled {
            let (job, events) = self.take(plane.state)
            for event in events { changed(event) }
            guard let job else {
              do { try await Task.sleep(for: Self.interval) } catch { return }
              continue
            }
            let result = await fetch(job).flatMap { Self.read($0, for: job) }
            // Whoever ends has not failed.
            if Task.isCancelled { return }
            switch result {
            case .success: attempted(true)
            case .failure(let failure): if !failure.isBusy { attempted(false) }
            }
            if let event = self.finish(job, result) { changed(event) }
          }
        }
      }
    }
  }

  /// Judges keys as those are that somebody sets: all of them, or none. Where it is none, what was withdrawn is so all
  /// the same: the failure tells which ones are listed.
  static func read(
    _ answer: KeySetAnswer, for job: KeySetJob
  ) -> Result<(keys: [ExternalKey], maximumAge: Int?), KeySetFailure> {
    guard let text = String(validating: answer.body, as: UTF8.self) else {
      return .failure(KeySetFailure("the set of keys is not UTF-8"))
    }
    func refused(_ description: String) -> Result<
      (keys: [ExternalKey], maximumAge: Int?), KeySetFailure
    > {
      var failure = KeySetFailure(description)
      failure.listed = ExternalKey.listed(in: text, algorithms: job.source.algorithms)
      return .failure(failure)
    }
    let keys: [ExternalKey]
    do throws(ExternalKeyError) {
      keys = try ExternalKey.read(set: text, algorithms: job.source.algorithms)
    } catch {
      return refused(error.description)
    }
    let counts = 1...ExternalIssuer.maximumKeys
    guard counts.contains(keys.count) else {
      return refused(
        "\(keys.count) keys that can verify tokens, where 1 to \(counts.upperBound) may be")
    }
    guard keys.allSatisfy({ $0.publicKey.utf8.count <= ExternalKey.maximumBytes }) else {
      return refused("a key of more than \(ExternalKey.maximumBytes) bytes")
    }
    return .success((keys, answer.maximumAge))
  }
}
