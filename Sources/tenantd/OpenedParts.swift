import Tenancy
import TenancyRPC
import TenancyStore

/// What has to be closed, whether or not the parts ever ran.
struct OpenedParts {
  var store: (any ControlStore)?
  var plane: ControlPlane?
  var follower: LogFollower?
  var server: Server?
  var workloadServer: Server?
  var monitor: Monitor?

  func close() async {
    // At once when it has run: then it has stopped.
    await server?.stop(within: .zero)
    await workloadServer?.stop(within: .zero)
    await follower?.stop()
    if let plane { await plane.close() } else { store?.close() }
    // Until here it tells that nothing is served.
    await monitor?.stop()
  }
}
