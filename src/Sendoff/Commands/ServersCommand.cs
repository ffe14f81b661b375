using System.CommandLine;
using System.Globalization;
using Sendoff.Engine.Cluster;
using Sendoff.Server.Api;

namespace Sendoff.Commands;

/// <summary><c>sendoff servers</c>: lists the servers that share the database.</summary>
static class ServersCommand
{
    static readonly string[] columns = ["slot", "name", "version", "since", "lease", "roles", "runs", "deliveries", "answers"];

    public static Command Build()
    {
        var command = new Command("servers", "List the servers that share the database, with their work");
        command.SetAction(
            async (parsed, ct) =>
            {
                using var api = ApiClient.From(parsed);
                if (await api.GetAsync("/api/v1/servers", ApiJson.Default.ListDocumentServerDocument, ct) is { } servers)
                {
                    Lists.PrintTable(servers.Items, columns, Row);
                    if (RoleNames.WhatWaits(servers.Items.Select(RolesOf).Aggregate(static (all, one) => all | one)) is { } waits)
                        Output.Warning(waits);
                }
                return ExitCode.Ok;
            }
        );
        return ApiClient.With(command);
    }

    static ServerRoles RolesOf(ServerDocument server) => RoleNames.Read(string.Join(',', server.Roles)) ?? ServerRoles.All;

    static string[] Row(ServerDocument server) =>
        [
            server.Slot.ToString(CultureInfo.InvariantCulture),
            server.Name,
            server.Version,
            Lists.Time(server.Since),
            server.LeaseSeconds is { } left ? string.Create(CultureInfo.InvariantCulture, $"{left:0.#} s") : "none",
            string.Join(',', server.Roles),
            server.Runs.ToString(CultureInfo.InvariantCulture),
            server.Deliveries.ToString(CultureInfo.InvariantCulture),
            server.IsThis ? "yes" : "",
        ];
}
