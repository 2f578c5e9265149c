from __future__ import annotations

SPEC = "image = Image.from_debian_base('3.11', install_sdk=False, name='web').with_env_vars({'A': '1'})\n"


def test_the_dockerfile_is_printed(project):
    ended = project.run("render", project.spec(SPEC))
    assert ended.code == 0
    assert "\nFROM python:3.11-slim-bookworm\n" in ended.out
    assert "\nENV A=1\n" in ended.out


def test_several_images_have_headings(project):
    ended = project.run("render", project.spec(SPEC + "other = image.with_env_vars({'B': '2'})\n"))
    assert [line for line in ended.out.splitlines() if line.startswith("# image:")] == [
        "# image: image",
        "# image: other",
    ]


def test_a_folder_is_written_and_written_anew(project):
    project.write("my_code/main.py", "print(1)")
    spec = project.spec(SPEC + "image = image.with_source_folder('my_code', '/app')\n")
    for text in ("print(1)", "print(2)"):
        project.write("my_code/main.py", text)
        ended = project.run("render", spec, "--output", "out")
        assert (ended.code, ended.out) == (0, "")
        assert "to build it: docker buildx build --tag web:" in ended.err
        (file,) = (project.folder / "out").rglob("main.py")
        assert file.read_text() == text
    assert (project.folder / "out" / "Dockerfile").read_text() in project.run("render", spec).out + "\n"


def test_a_folder_with_other_files_is_left_alone(project):
    project.write("out/mine.txt", "x")
    ended = project.run("render", project.spec(SPEC), "--output", "out")
    assert ended.code == 2
    assert "out holds other files (mine.txt)" in ended.err
    assert project.run("render", "spec.py", "--output", "spec.py").code == 2


def test_several_images_get_a_folder_each_named_by_the_variable(project):
    spec = project.spec(SPEC + "other = image.with_env_vars({'B': '2'})\n")
    for _ in range(2):
        assert project.run("render", spec, "--output", "out").code == 0
        assert sorted(path.name for path in (project.folder / "out").iterdir()) == ["image", "other"]
    project.write("out/mine.txt", "x")
    assert project.run("render", spec, "--output", "out").code == 2


def test_a_dockerfile_of_the_users(project):
    project.write("docker/Dockerfile", "FROM scratch\nCOPY a /a\n")
    project.write("docker/a", "x")
    spec = project.spec("image = Image.from_dockerfile('docker/Dockerfile', name='own')")
    assert project.run("render", spec).out == "FROM scratch\nCOPY a /a\n"
    ended = project.run("render", spec, "--output", "out")
    assert "--file out/Dockerfile out/context" in ended.err
    assert (project.folder / "out/context/a").read_text() == "x"


def test_secrets_are_named_and_not_needed(project):
    base = "Image.from_debian_base('3.11', install_sdk=False)"
    spec = project.spec(f"image = {base}.with_commands(['true'], secret_mounts='TOKEN')")
    ended = project.run("render", spec, "--output", "out")
    assert ended.code == 0
    assert "--secret id=token-" in ended.err
    assert ",src=FILE" in ended.err


def test_a_base_alone_has_nothing_to_render(project):
    ended = project.run("render", project.spec("image = Image.from_base('python:3.11')"))
    assert (ended.code, "nothing to render" in ended.err) == (2, True)


def test_a_base_is_asked_for_its_user(project, registry, push_image):
    push_image(f"{registry.host}/base:1")
    spec = project.spec(f"image = Image.from_base('{registry.host}/base:1').with_commands(['true'])")
    assert project.run("render", spec).code == 0
    spec = project.spec(f"image = Image.from_base('{registry.host}/none:1').with_commands(['true'])")
    assert project.run("render", spec).code == 3


def test_what_the_site_gives_is_mounted_and_its_flags_are_shown(project, monkeypatch):
    ca = project.write("ca.pem", "-----BEGIN CERTIFICATE-----")
    monkeypatch.setenv("IMAGEBUILDER_CA_BUNDLE", str(ca))
    monkeypatch.setenv("IMAGEBUILDER_INDEX_URL", "https://me:s3cret@pypi.corp/simple")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.corp:3128")
    base = "image = Image.from_debian_base('3.11', install_sdk=False, name='web')"
    spec = project.spec(f"{base}.with_pip_packages('numpy')")
    ended = project.run("render", spec, "--output", "out")
    assert ended.code == 0
    assert (
        "--secret id=imagebuilder-site,src=out/.imagebuild-site.sh --secret id=imagebuilder-ca,src=ca.pem" in ended.err
    )
    assert "--build-arg HTTPS_PROXY" in ended.err
    assert "put the index's login in the place of ***" in ended.err
    script = (project.folder / "out/.imagebuild-site.sh").read_text()
    assert "https://***@pypi.corp/simple" in script
    dockerfile = (project.folder / "out/Dockerfile").read_text()
    assert "id=imagebuilder-ca" in dockerfile
    assert dockerfile in project.run("render", spec).out + "\n"
    assert "s3cret" not in ended.err + script + dockerfile
    # Where no step fetches anything, nothing of the site is mounted.
    ended = project.run("render", project.spec(base), "--output", "out")
    assert "imagebuilder-ca" not in ended.err
    assert not (project.folder / "out/.imagebuild-site.sh").exists()
