import Tenancy
import TenancyRPC
import TenancyServer

/// Ends the connections and streams of workloads whose registration entries are gone. Calls are judged by themselves.
enum RegistrationWatch {
  /// Between two looks at all connections, at least: entries may be deleted one after the other.
  private static let interval = Duration.milliseconds(100)

  /// Until it is cancelled.
  static func run(_ plane: ControlPlane, _ tls: [TLSContext], _ service: TenancyService) async {
    let wakes = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
    await withTaskGroup { group in
      group.addTask {
        await LogWatch.follow(plane, where: \.endsRegistration) { wakes.continuation.yield() }
        wakes.continuation.finish()
      }
      group.addTask {
        for await _ in wakes.stream {
          for context in tls { context.review() }
          service.reviewStreams()
          do { try await Task.sleep(for: interval) } catch { return }
        }
      }
      _ = await group.next()
      group.cancelAll()
    }
  }
}

extension Change {
  fileprivate var endsRegistration: Bool {
    if case .deleteWorkloadEntry = self { true } else { false }
  }
}
