public import TenancyRPC
public import TenancyRPCServices

/// All that the conformance server serves, on any protocol of the runtime.
public enum InteropServices {
  /// - Parameter health: what the health service tells.
  /// - Throws: `ReflectionError`.
  public static func methods<Delegate: ServerDelegate>(
    health: HealthStatus
  ) throws -> [ServiceMethod<Delegate>] {
    let served: [ServiceMethod<Delegate>] = tested() + HealthService(health).methods()
    let reflection = try ReflectionService(
      serving: served, descriptorSets: [InteropDescriptors.fileDescriptorSet])
    return served + reflection.methods()
  }

  /// The services under test, as `package.Service`.
  public static var names: [String] {
    [GRPCTesting.TestService.name, TTRPCStreaming.Streaming.name, Bench.Lookup.name].sorted()
  }

  private static func tested<Delegate: ServerDelegate>() -> [ServiceMethod<Delegate>] {
    TestService().methods() + StreamingService().methods() + LookupService().methods()
  }
}
