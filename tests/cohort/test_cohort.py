"""Who is analysed: every layout, every oddity, the score's own words."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from expresso_lib import cohort, config
from expresso_lib.cohort import core, cremad, example
from expresso_lib.faces import tables, truth, video


def make_video(path, *, shade=90, frames=5, size=(24, 32)):
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [np.full((*size, 3), (shade + 7 * i) % 256, np.uint8) for i in range(frames)]
    return video.write_video(path, images, 25.0)


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Twelve different tiny videos, to be copied under any name."""
    folder = tmp_path_factory.mktemp("clips")
    return [make_video(folder / f"{i}.mp4", shade=15 * i, frames=4 + i) for i in range(12)]


def place(clips, root, names):
    for clip, name in zip(clips, names, strict=False):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(clip, root / name)


# The score's scale


@pytest.mark.parametrize(("score", "band"), [
    (0, "minimal"), (13, "minimal"), (14, "mild"), (19, "mild"), (20, "moderate"),
    (28, "moderate"), (29, "severe"), (63, "severe"), (13.5, "minimal"),
])  # fmt: skip
def test_band_follows_the_published_edges(score, band):
    """Beck, Steer & Brown (1996): 13|14, 19|20, 28|29; between two bands the lower counts."""
    assert cohort.BDI_II.band(score)[0] == band


def test_band_is_none_outside_the_scale():
    """No score outside the scale is given a band."""
    assert cohort.BDI_II.band([-1, 64, np.nan]).tolist() == [None, None, None]


def test_with_tertiles_says_that_thirds_are_no_clinical_bands():
    """Thirds are labelled as thirds of this cohort."""
    scale = cohort.ScoreScale("wellbeing", 0, 30).with_tertiles([1, 2, 3, 10, 11, 12, 25, 26, 27])
    assert scale.band([1, 11, 27]).tolist() == ["lower third", "middle third", "upper third"]
    assert "not clinical" in scale.bands_text


def test_published_bands_name_their_source_and_others_none():
    """Each questionnaire its own authors; bands of one's own have none."""
    for scale, author in ((cohort.BDI_II, "Beck"), (core.PHQ_9, "Kroenke")):
        assert author in scale.bands_text
        mine = replace(scale, bands=(core.Band("low", 0, 9),))
        assert mine.bands_text == f"{scale.name} bands (low 0 to 9)"
    assert "Beck" not in core.PHQ_9.bands_text


def test_thirds_are_of_people_not_of_recordings(tmp_path):
    """Where scores vary within people, each third still holds a third of the participants."""
    rows = [(f"p{k}", f"p{k}_{low}", k + low) for k in range(6) for low in (0, 20)]
    for _, name, _ in rows:
        (tmp_path / f"{name}.mp4").write_text(name)
    table = pd.DataFrame(rows, columns=["participant", "recording", "score"])
    table = table.assign(path=table["recording"] + ".mp4", fps=25.0, n_frames=50)
    source, scale = core.Source("x", tmp_path), cohort.ScoreScale("x", 0, 30)
    found = core.assemble(source, table, scale).participants
    assert found["band"].value_counts().tolist() == [2, 2, 2]


def test_with_tertiles_gives_no_bands_to_two_values():
    """A score with two values has no thirds."""
    assert cohort.ScoreScale("x", 0, 1).with_tertiles([0, 0, 1, 1, 1]).bands == ()


# A folder of one's own


def write_folder(root, clips, text, names):
    place(clips, root, names)
    (root / "scores.csv").write_text(text, encoding="utf-8")
    return root


def test_read_folder_understands_what_spreadsheets_write(tmp_path, clips):
    """Byte-order mark, semicolons, decimal commas, padded names, back slashes."""
    text = (
        "\ufeffParticipant; Recording ;Path;PHQ-9;Age\r\n"
        "ann;a1;.\\videos\\a1.mp4;4,5;31\r\nbob;b1;videos/b1.mp4;12;\r\n"
    )
    root = write_folder(tmp_path, clips, text, ["videos/a1.mp4", "videos/b1.mp4"])
    found = cohort.read("folder", root, score="phq-9")
    assert found.recordings["score"].tolist() == [4.5, 12.0]
    assert found.scale.name == "PHQ-9"
    assert found.recordings["band"].tolist() == ["minimal", "moderate"]
    assert found.participants["age"].tolist()[0] == 31
    assert found.recordings["n_frames"].tolist() == [4, 5]
    assert found.problems["consequence"].eq("kept").all()
    with pytest.raises(cohort.CohortError, match=r"no folder; correct cohort\.tables"):
        cohort.read("folder", root, score="phq-9", tables=str(tmp_path / "nowhere"))
    assert not found.faces_may_be_shown
    assert not found.demo


def test_a_recording_of_windows_is_named_after_its_file(tmp_path, clips):
    """Without a column of names, a backslash is as good as a slash."""
    text = "participant,path,score\nann,day\\a1.mp4,4\nbob,day/b1.mp4,12\n"
    root = write_folder(tmp_path, clips, text, ["day/a1.mp4", "day/b1.mp4"])
    found = cohort.read("folder", root, low=0, high=63)
    assert found.recordings["recording"].tolist() == ["a1", "b1"]


def test_read_folder_lists_everything_that_is_wrong_at_once(tmp_path, clips):
    """One list, complete, before any work: each fault once, and the good rows stay."""
    rows = [
        "participant,recording,path,score",
        "ann,a1,a1.mp4,5", "ann,a1,a1.mp4,5",  # the same row twice
        "bob,b1,b1.mp4,", "bob,b2,b2.mp4,many", "bob,b3,b3.mp4,64",
        "cid,c1,c1.mp4,9", "cid,C1,c1.mp4,10",  # one name, two scores
        "dan,d1,broken.mp4,9", "dan,d2,absent.mp4,9", "dan,d3,../outside.mp4,9",
        f"dan,d4,{'a' * 300}.mp4,9",  # longer than a system's names
        "eve,e1,sub/e1.mp4,20", "eve,e2,e2.mp4,22",  # one person in two folders
        "<b>,x1,a1.mp4,9", ",x2,a1.mp4,9",
        "fay,f1,,9",  # no path at all
    ]  # fmt: skip
    names = ["a1.mp4", "b1.mp4", "b2.mp4", "b3.mp4", "c1.mp4", "sub/e1.mp4", "e2.mp4", "spare.mp4"]
    root = write_folder(tmp_path / "mine", clips, "\n".join(rows), names)
    (root / "broken.mp4").write_bytes(b"no video at all")
    make_video(tmp_path / "outside.mp4")
    found = cohort.read("folder", root, score="score", low=0, high=63)
    assert sorted(found.recordings["recording"]) == ["a1", "e1", "e2"]
    by_item = found.problems.groupby("item")["problem"].apply(" | ".join)
    expected = {
        "a1": "more than once", "b1": "no score", "b2": "no plain number", "b3": "outside",
        "c1.mp4": "share", "d1": "cannot be read", "d2": "not there",
        "d3": "leaves the data folder", "d4": "not", "f1": "leaves the data folder",
        "eve (., sub)": "several folders", "spare.mp4": "not listed",
        "<b>": "unsafe", "a1.mp4": "not named",
    }  # fmt: skip
    for item, words in expected.items():
        assert words in by_item[item], (item, by_item[item])
    report = core.report_text(found.problems)
    assert "1 left out: it has no score" in report


def test_one_person_is_one_however_the_name_is_written(tmp_path, clips):
    """Case, accents in two parts as a Mac writes them, an empty row of a spreadsheet."""
    rows = ["participant,path,score,age", "ann,x/\u00e9.mp4,1,", "Ann,b.mp4,2,31", ",,,",
            "cid,c.mp4,3,40"]  # fmt: skip
    names = ["x/e\u0301.mp4", "b.mp4", "c.mp4"]
    root = write_folder(tmp_path, clips, "\n".join(rows), names)
    found = cohort.read("folder", root)
    assert found.participants["n_recordings"].tolist() == [2, 1]
    assert found.participants["age"].tolist() == [31, 40]
    assert found.problems["item"].tolist()[:3] == ["score", "Ann (ann)", "ann (., x)"]
    assert "left out" not in set(found.problems["consequence"])
    assert "differs from another in case only" in found.problems["problem"][1]
    assert "several folders" in found.problems["problem"][2]
    assert not found.public_problems["problem"].str.contains("ann").any()


@pytest.mark.parametrize(
    ("bands", "message"),
    [
        (("mild 14-28", "severe 29-63"), "bands reach from 14 to 63, and 1 scores lie outside"),
        (("low 0-9", "mild 10-19"), "bands reach from 0 to 19, and 1 scores lie outside"),
        (("low 0-15", "high 10-63"), "'low' and 'high' overlap"),
        (("low 0-9", "low 10-63"), "name one band twice"),
        (("low 9-0", "high 10-63"), "'low 9-0' ends before it begins"),
    ],
)
def test_bands_that_leave_scores_out_or_contradict_are_refused(tmp_path, clips, bands, message):
    """Otherwise who is beside them all would be of a band called None, or of another's."""
    root = write_folder(tmp_path, clips, "participant,path,score\nann,a.mp4,3\nbob,b.mp4,20\n",
                        ["a.mp4", "b.mp4"])  # fmt: skip
    with pytest.raises(cohort.CohortError, match=message):
        cohort.read("folder", root, low=0, high=63, bands=bands)


def test_bands_may_be_named_in_any_order(tmp_path, clips):
    """From severe to mild, as some list them: everybody is in their own."""
    root = write_folder(tmp_path, clips, "participant,path,score\nann,a.mp4,3\nbob,b.mp4,20\n",
                        ["a.mp4", "b.mp4"])  # fmt: skip
    bands = ("severe 29-63", "moderate 20-28", "mild 14-19", "minimal 0-13")
    found = cohort.read("folder", root, low=0, high=63, bands=bands)
    assert found.recordings["band"].tolist() == ["minimal", "moderate"]


def test_what_one_row_leaves_open_another_may_tell(tmp_path, clips):
    """Sex and group stand in the second row of a participant only."""
    text = ("participant,path,score,sex,group\nann,a.mp4,3,,\nann,b.mp4,3,f,x\n"
            "bob,c.mp4,5,m,\n")  # fmt: skip
    root = write_folder(tmp_path, [*clips, clips[0]][:3], text, ["a.mp4", "b.mp4", "c.mp4"])
    people = cohort.read("folder", root).participants.set_index("participant")
    assert people.loc["ann", ["sex", "group"]].tolist() == ["f", "x"]


def test_read_folder_leaves_out_one_video_under_two_participants(tmp_path, clips):
    """The same file under two people would stand on both sides of a split."""
    text = "participant,path,score\nann,a.mp4,1\nbob,b.mp4,2\ncid,c.mp4,3\n"
    root = write_folder(tmp_path, [clips[0], clips[0], clips[1]], text, ["a.mp4", "b.mp4", "c.mp4"])
    found = cohort.read("folder", root)
    assert found.recordings["recording"].tolist() == ["c"]


def test_read_folder_takes_bands_and_says_when_it_guessed_the_range(tmp_path, clips):
    """Bands are the user's where given; a range nobody stated is named as taken from the table."""
    text = "participant,path,anxiety\nann,a.mp4,3\nbob,b.mp4,17\n"
    root = write_folder(tmp_path, clips, text, ["a.mp4", "b.mp4"])
    found = cohort.read("folder", root, score="anxiety", bands=("low 0-9", "high 10-27"))
    assert found.recordings["band"].tolist() == ["low", "high"]
    assert "range was not stated" in " ".join(found.problems["problem"])
    assert found.scale.title == "anxiety (points, 3 to 17)"


@pytest.mark.parametrize(("second", "said"), [("5", 1), ("3", 0)])
def test_scores_that_vary_within_people_are_said(tmp_path, clips, second, said):
    """Statistics over people take the mean, and the list of what is odd says so."""
    text = f"participant,path,score\nann,a.mp4,3\nann,b.mp4,{second}\nbo,c.mp4,9\n"
    root = write_folder(tmp_path, clips, text, ["a.mp4", "b.mp4", "c.mp4"])
    odd = cohort.read("folder", root).problems["problem"]
    assert (
        odd.str.contains("1 of 2 participants have recordings with different scores").sum() == said
    )


def test_read_folder_names_the_nearest_column(tmp_path, clips):
    """A misspelt column is answered with the nearest one."""
    root = write_folder(tmp_path, clips, "participant,path,scroe\nann,a.mp4,3\n", ["a.mp4"])
    with pytest.raises(cohort.CohortError, match="did you mean 'scroe'"):
        cohort.read("folder", root)
    (root / "scores.csv").write_text("who,video,score\nann,a.mp4,3\n")
    with pytest.raises(cohort.CohortError, match="no column 'participant' and no 'path'"):
        cohort.read("folder", root)


def test_rows_that_are_longer_than_the_header_move_no_column(tmp_path):
    """A decimal comma among commas is refused; a last separator is no cell."""
    (tmp_path / "scores.csv").write_text("participant,path,score\nann,a.mp4,12,5\n")
    with pytest.raises(tables.TableError, match="more cells than its first line has names"):
        cohort.read("folder", tmp_path)
    (tmp_path / "scores.csv").write_text("participant,path,score\nann,a.mp4,12,\n")
    (row,) = core.read_table(tmp_path / "scores.csv").to_dict("records")
    assert row == {"participant": "ann", "path": "a.mp4", "score": "12"}


def test_read_folder_raises_with_the_list_when_nothing_is_left(tmp_path, clips):
    """No usable recording: the error itself carries the reasons."""
    text = "participant,path,score\nann,a.mp4,3\nbob,b.mp4,5\n"
    root = write_folder(tmp_path, [], text, [])
    with pytest.raises(cohort.CohortError, match=r"no usable recording.*\n.*not there"):
        cohort.read("folder", root)


def test_from_parameters_reads_what_the_section_names(tmp_path, clips):
    """A parameter file is enough: table, column, range, consent."""
    text = "participant,path,mood\nann,a.mp4,3\nbob,b.mp4,5\n"
    root = write_folder(tmp_path, clips, text, ["a.mp4", "b.mp4"])
    section = config.CohortSection(source="folder", folder=str(root), score="mood",
                                   score_low=0.0, score_high=10.0, show_faces=True)  # fmt: skip
    found = cohort.from_parameters(section)
    assert (found.scale.low, found.scale.high) == (0, 10)
    assert found.faces_may_be_shown


def test_only_forgets_what_is_dropped(tmp_path, clips):
    """Score, band and number of recordings are those of the recordings that are kept."""
    text = "participant,recording,path,bdi\nann,a1,a.mp4,10\nann,a2,b.mp4,30\nbob,b1,c.mp4,5\n"
    root = write_folder(tmp_path, clips, text, ["a.mp4", "b.mp4", "c.mp4"])
    found = cohort.read("folder", root, score="bdi").only(["a1"])
    (ann,) = found.participants.to_dict("records")
    assert (ann["participant"], ann["score"], ann["n_recordings"]) == ("ann", 10, 1)
    assert ann["band"] == "minimal"


def test_save_and_load_keep_everything(tmp_path, clips):
    """What chapter 1 wrote is what chapter 8 reads."""
    text = "participant,path,phq9\nann,a.mp4,3\nbob,b.mp4,15\n"
    root = write_folder(tmp_path / "in", clips, text, ["a.mp4", "b.mp4"])
    before = cohort.read("folder", root, score="phq9")
    after = cohort.Cohort.load(before.save(tmp_path / "out"))
    pd.testing.assert_frame_equal(before.recordings, after.recordings)
    assert after.scale == before.scale
    assert "Kroenke" in after.scale.bands_text
    assert after.faces_may_be_shown is False
    assert "path" not in after.public_recordings


# AVEC 2014


def avec_names(split, key):
    base = f"AVEC2014_AudioVisual/Video/{split}"
    return [f"{base}/{task}/{key}_{task}_video.mp4" for task in ("Freeform", "Northwind")]


def write_label(root, path, text):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def test_read_avec2014_follows_the_published_layout(tmp_path, clips):
    """Two tasks share a label; splits are kept; a participant in two splits is reported."""
    names = avec_names("Training", "203_1") + avec_names("Development", "203_2")
    names += avec_names("Testing", "310_1")
    place(clips, tmp_path, names)
    labels = "Final_Labels/{0}_DepressionLabels/{1}_Depression.csv"
    write_label(tmp_path, labels.format("Training", "203_1"), "13\r\n")
    write_label(tmp_path, labels.format("Development", "203_2"), "\ufeff14")
    test_label = "AVEC2014_Labels_Testset/Testing/DepressionLabels/310_1_Depression.csv"
    write_label(tmp_path, test_label, "29")
    found = cohort.read("avec2014", tmp_path)
    rows = found.recordings.set_index("recording")
    assert rows.loc["203_1_Freeform", "score"] == rows.loc["203_1_Northwind", "score"] == 13
    assert rows["split"].value_counts().to_dict() == {"training": 2, "development": 2, "test": 2}
    assert rows.loc["310_1_Freeform", "band"] == "severe"
    assert found.participants.set_index("participant")["n_recordings"].to_dict() == {
        "203": 4, "310": 2}  # fmt: skip
    problems = found.problems.set_index("item")["problem"]
    assert "more than one official split" in problems["203"]
    assert "6 videos instead of 300" in problems["AVEC 2014"].tolist()
    assert not found.faces_may_be_shown


@pytest.mark.parametrize(
    ("column", "name"), [("PHQ-9 Total Score", "PHQ-9"), ("BDI_II sum", "BDI-II"),
                         ("phq8_score", "phq8_score"), ("total", "total")]
)  # fmt: skip
def test_a_scale_is_known_whatever_stands_beside_its_name(column, name, tmp_path, clips):
    """What a questionnaire's export calls its sum; another scale is not taken for one of these."""
    text = f"participant,path,{column}\nann,a.mp4,4\nbob,b.mp4,12\n"
    root = write_folder(tmp_path, clips, text, ["a.mp4", "b.mp4"])
    assert cohort.read("folder", root, score=column).scale.name == name


def test_read_avec2014_understands_the_flattened_layout(tmp_path, clips):
    """Videos anywhere, labels in label/DepressionLabels; oddities are listed, not fatal."""
    place(clips, tmp_path, ["v/203_1_Freeform_video.mp4", "v/204_1_freeform_video.MP4",
                            "v/205_1_Freeform_video.mp4", "v/holiday.mp4"])  # fmt: skip
    (tmp_path / "v/._203_1_Freeform_video.mp4").write_bytes(b"resource fork")
    for key, text in (("203_1", "7"), ("204_1", "high"), ("299_1", "3")):
        write_label(tmp_path, f"label/DepressionLabels/{key}_Depression.csv", text)
    write_label(tmp_path, "Final_Labels/Training_DepressionLabels/203_1_Depression.csv", "7")
    found = cohort.read("avec2014", tmp_path)
    assert found.recordings["recording"].tolist() == ["203_1_Freeform"]
    problems = dict(zip(found.problems["item"], found.problems["problem"], strict=True))
    assert "no plain number" in problems["204_1_Freeform"]
    assert "no score" in problems["205_1_Freeform"]
    assert "without a video" in problems["299_1"]
    assert "participant}_{session" in problems["v/holiday.mp4"]


def test_read_avec2014_refuses_labels_that_disagree(tmp_path, clips):
    """Two releases with two values: neither is believed."""
    place(clips, tmp_path, ["203_1_Freeform_video.mp4", "204_1_Freeform_video.mp4"])
    write_label(tmp_path, "a/203_1_Depression.csv", "7")
    write_label(tmp_path, "b/203_1_Depression.csv", "8")
    write_label(tmp_path, "a/204_1_Depression.csv", "9")
    found = cohort.read("avec2014", tmp_path)
    assert found.recordings["participant"].tolist() == ["204"]
    assert "disagree" in " ".join(found.problems["problem"])


# CREMA-D


def write_cremad(root, clips, rows):
    place(clips, root, [f"VideoFlash/{name}.flv" for name, _, _ in rows])
    lines = ['"","FileName","VoiceVote","VoiceLevel","FaceVote","FaceLevel"']
    lines += [f'"{i}","{name}","N","1","{vote}","{level}"'
              for i, (name, vote, level) in enumerate(rows)]  # fmt: skip
    (root / "processedResults").mkdir(exist_ok=True)
    (root / "processedResults/summaryTable.csv").write_text("\n".join(lines))
    people = '"ActorID","Age","Sex","Race"\n1001,51,"Male","x"\n1002,21,"Female",\n'
    (root / "VideoDemographics.csv").write_text(people)


CREMAD = [
    ("1001_IEO_SAD_HI", "A:F", "30.67:51.00"), ("1001_IEO_NEU_XX", "N", "92.22"),
    ("1001_DFA_FEA_XX", "F:N", "66:50"), ("1002_TIE_HAP_XX", "H", "80.25"),
    ("1002_DFA_ANG_XX", "A", ""), ("1076_MTI_NEU_XX", "N", "50"),
]  # fmt: skip


def test_read_cremad_scores_what_raters_saw_in_the_face(tmp_path, clips):
    """Ties are averaged without neutral, neutral has no intensity, known bad files stay out."""
    write_cremad(tmp_path, clips, CREMAD)
    found = cohort.read("cremad", tmp_path)
    scores = found.recordings.set_index("recording")["score"]
    assert scores.to_dict() == {
        "1001_IEO_SAD_HI": (30.67 + 51) / 2,
        "1001_DFA_FEA_XX": 66,
        "1002_TIE_HAP_XX": 80.25,
    }
    problems = dict(zip(found.problems["item"], found.problems["problem"], strict=True))
    assert "neutral" in problems["1001_IEO_NEU_XX"]
    assert "do not fit" in problems["1002_DFA_ANG_XX"]
    assert "damaged" in problems["VideoFlash/1076_MTI_NEU_XX.flv"]
    people = found.participants.set_index("participant")
    assert people.loc["1002", ["age", "sex"]].tolist() == [21, "female"]
    assert found.scale.name == "perceived intensity"
    assert found.scale.tertiles


def test_read_cremad_can_target_one_emotion(tmp_path, clips):
    """With an emotion, clips seen as another or as neutral score 0."""
    write_cremad(tmp_path, clips, CREMAD)
    scores = cohort.read("cremad", tmp_path, emotion="FEA").recordings.set_index("recording")
    assert scores.loc["1001_IEO_SAD_HI", "score"] == 51
    assert scores.loc["1001_IEO_NEU_XX", "score"] == 0


def test_read_cremad_recognises_git_lfs_pointers(tmp_path, clips):
    """A clone without Git-LFS holds pointers: said so, not 'broken video'."""
    write_cremad(tmp_path, clips, CREMAD[:1])
    pointer = tmp_path / "VideoFlash/1002_TIE_HAP_XX.flv"
    pointer.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n")
    found = cohort.read("cremad", tmp_path)
    assert any("Git-LFS" in text for text in found.problems["problem"])


def test_known_bad_clips_have_the_data_sets_form():
    """The list of damaged files is written as files are named."""
    assert all(cremad.CLIP.fullmatch(name) for name in cremad.KNOWN_BAD)


# RAVDESS


RAVDESS = ["01-01-01-01-01-01-01", "02-01-01-01-01-01-01", "02-01-04-02-01-01-01",
           "02-01-04-01-02-01-02", "02-01-03-02-02-01-02", "02-02-03-01-01-01-02"]  # fmt: skip


def test_read_ravdess_reads_the_names(tmp_path, clips):
    """Intensity 0, 1, 2; performances once; song left out; odd actors are men."""
    place(clips, tmp_path, [f"Actor_{n[-2:]}/{n}.mp4" for n in RAVDESS])
    tables = tmp_path / "tables"
    tables.mkdir()
    (tables / "01-01-04-02-01-01-01.csv").write_text("frame\n")
    (tables / "AU_01-04-01-02-01-02.csv").write_text("another tool's\n")
    found = cohort.read("ravdess", tmp_path, tables=str(tables))
    rows = found.recordings.set_index("recording")
    assert rows["score"].to_dict() == {RAVDESS[1]: 0, RAVDESS[2]: 2, RAVDESS[3]: 1, RAVDESS[4]: 2}
    assert rows.loc[RAVDESS[2], "au_table"].endswith("01-01-04-02-01-01-01.csv")
    assert rows.loc[RAVDESS[3], "au_table"] == ""
    assert rows["band"].tolist() == found.scale.band(rows["score"]).tolist()
    assert found.participants.set_index("participant")["sex"].to_dict() == {
        "01": "male", "02": "female"}  # fmt: skip
    problems = " ".join(found.problems["problem"])
    assert "sung" in problems
    assert "with and without sound" in problems


def test_read_ravdess_can_target_one_emotion(tmp_path, clips):
    """With an emotion the others score 0."""
    place(clips, tmp_path, [f"Actor_{n[-2:]}/{n}.mp4" for n in RAVDESS])
    rows = cohort.read("ravdess", tmp_path, emotion="sad").recordings.set_index("recording")
    assert rows["score"].to_dict() == {RAVDESS[1]: 0, RAVDESS[2]: 2, RAVDESS[3]: 1, RAVDESS[4]: 0}


# Rendered participants


def write_rendered(root, clips):
    names = ["P01_R1", "P01_R2", "P02_R1"]
    place(clips, root, [f"{name}.mp4" for name in names])
    people = pd.DataFrame({"participant": ["P01", "P02"], "score": [10, 30], "age": [31, 52]})
    people.to_csv(root / "participants.csv", index=False)
    rows = pd.DataFrame({"participant": ["P01", "P01", "P02"], "recording": names,
                         "task": "task", "fps": 25.0, "n_frames": [4, 5, 6]})  # fmt: skip
    rows.to_csv(root / "recordings.csv", index=False)


def test_read_rendered_gives_each_recording_its_participants_score(tmp_path, clips):
    """The demo cohort is BDI-II, may be shown, and says that it is a demo."""
    write_rendered(tmp_path, clips)
    (tmp_path / "planted.csv").write_text("factor\n")
    found = cohort.read("rendered", tmp_path)
    assert found.recordings["score"].tolist() == [10, 10, 30]
    assert found.participants["band"].tolist() == ["minimal", "severe"]
    assert found.demo
    assert found.faces_may_be_shown


def test_read_rendered_names_the_row_that_it_cannot_use(tmp_path, clips):
    """A recording without a name is left out; a participant listed twice counts once."""
    write_rendered(tmp_path, clips)
    (tmp_path / "planted.csv").write_text("factor\n")
    for name in ("participants.csv", "recordings.csv"):
        lines = (tmp_path / name).read_text().splitlines()
        odd = lines[1] if name == "participants.csv" else "P02,,task,25.0,6"
        (tmp_path / name).write_text("\n".join([*lines, odd]))
    found = cohort.read("rendered", tmp_path)
    assert found.recordings["score"].tolist() == [10, 10, 30]
    assert "left out" in set(found.problems["consequence"])


def test_read_rendered_refuses_real_videos(tmp_path, clips):
    """Without the planted truth nothing passes for rendered, whose faces may be shown."""
    write_rendered(tmp_path, clips)
    with pytest.raises(cohort.CohortError, match=r"planted\.csv"):
        cohort.read("rendered", tmp_path)


def test_a_table_is_found_by_path_or_by_a_name_that_stands_once(tmp_path, clips):
    """Beside its video; or in one folder for all, where no other video has the name."""
    names = ["a/one.mp4", "b/two.mp4", "c/two.mp4", "d/three.mp4"]
    place(clips, tmp_path / "videos", names)
    processed = tmp_path / "processed"
    (processed / "d").mkdir(parents=True)
    for name in ("one", "two", "d/three"):
        (processed / f"{name}.csv").write_text("frame\n")
    lines = [f"p{k},r{k},{name},{5 * k}" for k, name in enumerate(names)]
    (tmp_path / "videos" / "scores.csv").write_text(
        "\n".join(["participant,recording,path,BDI-II", *lines]))  # fmt: skip
    found = cohort.read("folder", tmp_path / "videos", score="BDI-II", tables=str(processed))
    told = found.recordings.set_index("recording")["au_table"]
    assert told["r0"] == str(processed / "one.csv")
    assert told["r3"] == str(processed / "d" / "three.csv")
    assert told[["r1", "r2"]].tolist() == ["", ""]


def test_example_folder_has_the_faults_it_promises(tmp_path, clips):
    """Cut short, no score, not listed, two folders: chapter 9 meets each once."""
    names = [f"P0{p}_R{r}" for p in range(1, 5) for r in (1, 2)]
    place(clips, tmp_path, [f"{name}.mp4" for name in names])
    for name in names:
        truth.save(tmp_path / f"{name}.npz", landmarks=np.ones((30, 68, 2)), au=np.ones((30, 17)),
                   pose=np.zeros((30, 3)), gaze=np.zeros((30, 2)), fps=25.0)  # fmt: skip
    rows = pd.DataFrame({"participant": [n[:3] for n in names], "recording": names,
                         "path": [str(tmp_path / f"{n}.mp4") for n in names],
                         "score": np.arange(8) + 0.5})  # fmt: skip
    found = cohort.read("folder", example.write_folder(tmp_path / "mine", rows), score="BDI-II")
    assert found.recordings["recording"].tolist() == ["P01_R1", "P01_R2", "P02_R1", "P03_R1",
                                                      "P04_R1"]  # fmt: skip
    problems = dict(zip(found.problems["item"], found.problems["problem"], strict=True))
    assert "no score" in problems["P02_R2"]
    assert "cannot be read" in problems["P03_R2"]
    assert "not listed" in problems["2021/clinic B/P04_R2.mp4"]
    assert any("P01 (" in item and "several folders" in why for item, why in problems.items())
    table = tables.read_faces(found.recordings["au_table"][0])
    assert (~table["usable"]).sum() == 3


def test_readers_never_open_what_a_licence_closes(tmp_path):
    """No option makes a licensed data set's faces showable."""
    with pytest.raises(cohort.CohortError):
        cohort.read("avec2014", tmp_path, faces_may_be_shown=True)
    place([make_video(tmp_path / "c.mp4")], tmp_path, ["203_1_Freeform_video.mp4"])
    write_label(tmp_path, "203_1_Depression.csv", "7")
    assert not cohort.read("avec2014", tmp_path, faces_may_be_shown=True).faces_may_be_shown


def test_read_names_the_nearest_data_set():
    """A misspelt data set is answered with the nearest one."""
    with pytest.raises(ValueError, match="did you mean 'ravdess'"):
        cohort.read("ravdes")


def test_numbers_refuses_what_could_be_two_numbers():
    """1.234,5 is not guessed at."""
    assert np.isnan(core.numbers(pd.Series(["1.234,5", "1e3", "inf", ""]))).all()
