using Microsoft.Extensions.Logging.Abstractions;
using Sendoff.Engine.Workers;

namespace Sendoff.Tests.Support;

/// <summary>The Node.js of all tests: the pinned version, downloaded once.</summary>
static class TestNode
{
    public static readonly NodeRuntime Runtime = new(new NodeOptions(), NullLogger<NodeRuntime>.Instance);
}
