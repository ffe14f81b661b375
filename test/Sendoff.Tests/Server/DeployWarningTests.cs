using System.Net.Http.Json;
using System.Text.Json;
using Sendoff.Server.Api;
using Sendoff.Tests.Support;

namespace Sendoff.Tests.Server;

/// <summary>A4, A8: a deploy says what its runs will be warned of, where the source shows it.</summary>
public sealed class DeployWarningTests(SharedServer shared) : IClassFixture<SharedServer>
{
    const string Says = "the response does not exist yet";

    static Dictionary<string, string> Files(string code, string key = "warned") =>
        new()
        {
            ["workflow.yaml"] = $"triggers: [ {{ type: http, key: {key} }} ]\nsteps: [ {{ namespace: step, uses: ./step.js }} ]",
            ["step.js"] = code,
        };

    [Theory]
    [InlineData("const x = 1;\nconst reply = await $send.http({ method: 'GET', url: 'https://a.example/' });\nreturn reply.data", 3, 8)]
    [InlineData("$send.http({ method: 'GET', url: 'https://a.example/' });\nreturn 1", null, null)]
    [InlineData("return (await require('https').get('https://a.example/')).data", null, null)]
    public async Task Code_that_reads_the_response_of_a_send_is_deployed_with_a_warning_at_its_line(string code, int? line, int? column)
    {
        using var response = await shared.Server.Http.PutAsJsonAsync(
            "/api/v1/workflows/warned",
            new DeployDocument(Files(code)),
            ApiJson.Default.DeployDocument
        );
        var deployed = (await response.EnsureSuccessStatusCode().Content.ReadFromJsonAsync(ApiJson.Default.WorkflowDocument))!;

        if (line is null)
            Assert.Empty(deployed.Warnings);
        else
        {
            var warning = Assert.Single(deployed.Warnings);
            Assert.Equal(("step.js", line, column, code.Split('\n')[2]), (warning.File, warning.Line, warning.Column, warning.Source));
            Assert.Contains(Says, warning.Message);
        }
    }

    [Fact]
    public async Task The_check_of_a_draft_and_the_deploy_command_say_it_too()
    {
        using var folder = new TempFolder();
        foreach (
            var (path, text) in Files(
                "const reply = $send.http({ method: 'GET', url: 'https://a.example/' });\nreturn reply?.status;",
                "told"
            )
        )
            File.WriteAllText(Path.Combine(folder.Path, path), text);

        var result = await SendoffCommand.RunAsync([
            "deploy",
            folder.Path,
            "--name",
            "told",
            "--server",
            shared.Server.Address.ToString(),
            "--token",
            TestServer.Token,
        ]);

        Assert.Equal(0, result.ExitCode);
        Assert.Contains("sendoff: step.js:2:8: " + Says, result.Error);
        using var check = await shared.Server.Http.PostAsync("/api/v1/workflows/told/draft/check", null);
        var document = JsonElement.Parse(await check.EnsureSuccessStatusCode().Content.ReadAsStringAsync());
        Assert.Equal(0, document.GetProperty("problems").GetArrayLength());
        Assert.Equal(2, Assert.Single(document.GetProperty("warnings").EnumerateArray()).GetProperty("line").GetInt32());
    }
}
